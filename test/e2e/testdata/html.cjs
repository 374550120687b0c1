// Checks pages with html-validate: {pages: [{name, html, mail}], off: [rules that a mail breaks on purpose]} on standard input; prints
// a line for each fault.
const { HtmlValidate } = require("html-validate");

const { pages, off } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const page = new HtmlValidate({ extends: ["html-validate:recommended"] });
const mail = new HtmlValidate({ extends: ["html-validate:recommended"], rules: Object.fromEntries(off.map((rule) => [rule, "off"])) });

(async () => {
  for (const p of pages) {
    const report = await (p.mail ? mail : page).validateString(p.html);
    for (const result of report.results) {
      for (const m of result.messages) {
        console.log(`${p.name}:${m.line}:${m.column}: ${m.ruleId}: ${m.message}`);
      }
    }
  }
})();
