// Verifies webhooks with the npm package of Standard Webhooks: {secret, posted: [{headers, body}]} on standard input.
const { Webhook } = require("standardwebhooks");

const { secret, posted } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const webhook = new Webhook(secret);
let refused = 0;
for (const { headers, body } of posted) {
  webhook.verify(body, headers); // throws where it does not verify
  try {
    webhook.verify(body + " ", headers);
  } catch {
    refused++;
  }
}
console.log(`${posted.length} verified, ${refused} forged refused`);
