const URL = process.env.KOALA_URL + "/api/v1/convert";
const KEY = { Authorization: `Bearer ${process.env.KOALA_KEY}` };

async function convert(file, outputFormat) {
  for (;;) {
    const body = new FormData();
    body.append("file", file);
    body.append("output_format", outputFormat);
    const answer = await fetch(URL, { method: "POST", headers: KEY, body });
    if (answer.status !== 429) return answer;
    // Have everything else that uses this key wait as well.
    const seconds = Number(answer.headers.get("Retry-After"));
    await new Promise((wake) => setTimeout(wake, seconds * 1000));
  }
}
