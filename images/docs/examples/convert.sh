#!/bin/sh
# Convert an image: sh convert.sh FILE FORMAT [RESULT]
#
# KOALA_URL is the server's address, KOALA_KEY your key.
# Prints the result's name, or says on standard error why there is none and exits
# with 1.
set -eu

if [ $# -lt 2 ]; then
  echo "Convert an image: sh convert.sh FILE FORMAT [RESULT]" >&2
  exit 1
fi
source=$1 format=$2 result=${3:-${1%.*}.$2}
attempts=6
longest_wait=600 # seconds; who is to wait for longer should rather know why
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# In a file that only you can read: everybody on a machine sees a command's words.
printf 'header = "Authorization: Bearer %s"\n' "$KOALA_KEY" >"$work/key"

# Runs curl and puts the answer into $work/answer; asks again while that makes sense.
# If an answer gets lost on its way, the request may count twice.
send() {
  attempt=0
  while :; do
    : >"$work/headers"
    : >"$work/answer"
    status=$(curl -sS -m 300 -D "$work/headers" -o "$work/answer" \
      -w '%{http_code}' "$@") || status=000
    case $status in
      2??) return ;;
      000 | 429 | 5??) ;;
      *)
        # 401 and 403 are among these: asking again would change nothing.
        echo "Refused: $status $(cat "$work/answer")" >&2
        exit 1
        ;;
    esac
    wait=$((1 << attempt))
    retry_after=$(tr -d '\r' <"$work/headers" |
      sed -n 's/^[Rr]etry-[Aa]fter: *\([0-9][0-9]*\)$/\1/p')
    if [ "${retry_after:-0}" -gt "$wait" ]; then wait=$retry_after; fi
    attempt=$((attempt + 1))
    if [ "$wait" -gt "$longest_wait" ] || [ "$attempt" -eq "$attempts" ]; then
      echo "Given up: $status $(cat "$work/answer")" >&2
      exit 1
    fi
    # Up to 500 ms more, so that not all clients come back in the same moment.
    jitter=$(($(od -An -N2 -tu2 /dev/urandom) % 501))
    wait=$wait.$(printf %03d "$jitter")
    echo "Again in $wait s, because of: $status $(cat "$work/answer")" >&2
    sleep "$wait"
  done
}

# The text of a field of the answer.
field() {
  sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" "$work/answer"
}

send -K "$work/key" -F "file=@\"$source\"" -F "output_format=$format" \
  "$KOALA_URL/api/v1/convert"
while status=$(field status) && { [ "$status" = queued ] || [ "$status" = running ]; }; do
  sleep 1 # asking for a job counts against no limit
  send -K "$work/key" "$KOALA_URL/api/v1/jobs/$(field id)"
done
if [ "$status" != "done" ]; then
  echo "The job is $status: $(cat "$work/answer")" >&2
  exit 1
fi
# Without the key: the address alone opens the result.
send "$(field download_url)"
mv "$work/answer" "$result"
echo "$result"
