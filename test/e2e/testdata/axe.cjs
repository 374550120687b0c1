// Checks pages with axe in Chromium, on a phone, light and dark: {browser, pages: [{name, html}]} on standard input; prints a line for
// each violation.
const { chromium } = require("playwright-core");
const { AxeBuilder } = require("@axe-core/playwright");

const { browser: executablePath, pages } = JSON.parse(require("fs").readFileSync(0, "utf8"));

// In legacy mode axe opens no second tab for each page: there are no frames here for which it would need one.
(async () => {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] });
  for (const colorScheme of ["light", "dark"]) {
    const context = await browser.newContext({ colorScheme, viewport: { width: 390, height: 844 }, offline: true, bypassCSP: true });
    const tab = await context.newPage();
    for (const p of pages) {
      await tab.setContent(p.html, { waitUntil: "domcontentloaded" });
      const { violations } = await new AxeBuilder({ page: tab }).setLegacyMode().options({ resultTypes: ["violations"] }).analyze();
      for (const v of violations) {
        for (const n of v.nodes) {
          console.log(`${p.name} (${colorScheme}): ${v.id}: ${v.help}: ${n.target.join(" ")}: ${(n.any[0] || n.all[0] || n.none[0] || {}).message || ""}`);
        }
      }
    }
    await context.close();
  }
  await browser.close();
})();
