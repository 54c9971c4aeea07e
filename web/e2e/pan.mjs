// Frame times while a chart of 10,000 and more points is panned: node e2e/pan.mjs (over vite preview or any installation).
import { chromium } from "@playwright/test";

const base = process.env.METERWAY_E2E_URL ?? "http://127.0.0.1:14010";
const [user = "tom", device = "northgrid-e-00001"] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.METERWAY_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
await page.goto(base);
await page.locator(".demo-users button", { hasText: `${user} /` }).click();
await page.locator(".shell").waitFor();
const answer = page.waitForResponse((response) => response.url().includes("/series"));
await page.goto(`${base}/devices/${device}?span=12m`);
const points = (await (await answer).json()).start.length;
const plot = page.locator(".plot").first();
await plot.locator("canvas").waitFor();
await plot.scrollIntoViewIfNeeded();
await plot.focus();
await page.keyboard.press("+");

const frames = await plot.evaluate(async (element) => {
  const nextFrame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const key = (name) => element.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
  const gaps = [];
  const work = [];
  let before = await nextFrame();
  for (let i = 0; i < 300; i++) {
    const begun = performance.now();
    key(Math.floor(i / 3) % 2 === 0 ? "ArrowRight" : "ArrowLeft");
    await Promise.resolve();
    work.push(performance.now() - begun);
    const now = await nextFrame();
    gaps.push(now - before);
    before = now;
  }
  return { gaps, work };
});

const line = (list) => {
  const sorted = [...list].sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))].toFixed(1);
  return `p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, max ${at(1)} ms`;
};
console.log(`${points} points loaded, 70 % of them shown, ${frames.gaps.length} pans`);
console.log(`from frame to frame: ${line(frames.gaps)}`);
console.log(`script and drawing of a pan: ${line(frames.work)}`);
await browser.close();
