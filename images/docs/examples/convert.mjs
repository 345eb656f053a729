// Convert an image: node convert.mjs FILE FORMAT [RESULT]
//
// KOALA_URL is the server's address, KOALA_KEY your key.
// Prints the result's name, or says on standard error why there is none and exits
// with 1.
import { readFile, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const { KOALA_URL, KOALA_KEY } = process.env;
const [source, format, result] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${KOALA_KEY}` };
const ATTEMPTS = 6;
const LONGEST_WAIT = 600; // seconds; who is to wait for longer should rather know why

function exit(why) {
  console.error(why);
  process.exit(1);
}

// The answer; asks again while that makes sense.
// If an answer gets lost on its way, the request may count twice.
async function send(url, request) {
  let why;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    let wait = 2 ** attempt;
    try {
      const signal = AbortSignal.timeout(300_000);
      const answer = await fetch(url, { ...request, signal });
      if (answer.ok) return answer;
      why = `${answer.status} ${await answer.text()}`;
      // 401 and 403 are among these: asking again would change nothing.
      if (answer.status !== 429 && answer.status < 500) exit(`Refused: ${why}`);
      wait = Math.max(wait, Number(answer.headers.get("Retry-After")) || 0);
    } catch (error) {
      why = error.cause ? `${error.message}: ${error.cause.message}` : error.message;
    }
    if (wait > LONGEST_WAIT || attempt === ATTEMPTS - 1) break;
    // Up to 500 ms more, so that not all clients come back in the same moment.
    wait += Math.random() / 2;
    console.error(`Again in ${wait.toFixed(1)} s, because of: ${why}`);
    await sleep(wait * 1000);
  }
  return exit(`Given up: ${why}`);
}

if (!format) exit("Convert an image: node convert.mjs FILE FORMAT [RESULT]");
const body = new FormData();
body.append("output_format", format);
body.append("file", new Blob([await readFile(source)]), basename(source));
let answer = await send(`${KOALA_URL}/api/v1/convert`, { method: "POST", headers, body });
let job = await answer.json();
while (job.status === "queued" || job.status === "running") {
  await sleep(1000); // asking for a job counts against no limit
  answer = await send(`${KOALA_URL}/api/v1/jobs/${job.id}`, { headers });
  job = await answer.json();
}
if (job.status !== "done") exit(`The job is ${job.status}: ${JSON.stringify(job.error)}`);
// Without the key: the address alone opens the result.
answer = await send(job.download_url);
const target = result ?? source.replace(/(\.[^./\\]*)?$/, `.${format}`);
await writeFile(target, Buffer.from(await answer.arrayBuffer()));
console.log(target);
