# curl waits as long as Retry-After says before it tries again.
curl --retry 5 --fail-with-body \
  -H "Authorization: Bearer $KOALA_KEY" \
  -F "file=@photo.png" -F "output_format=webp" \
  "$KOALA_URL/api/v1/convert"
