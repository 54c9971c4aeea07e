import { expect, test } from "@playwright/test";
import type { Device, Page as List, Me } from "../src/api/contract.ts";
import { settled, signIn } from "./signin.ts";

test("a customer sees their own meters only, in the list and in what is sent", async ({ page }) => {
  const answers: Promise<unknown>[] = [];
  page.on("response", (response) => {
    const { pathname } = new URL(response.url());
    if (pathname === "/v1/devices" && response.ok()) answers.push(response.json());
    if (pathname === "/v1/me" && response.ok()) answers.unshift(response.json());
  });
  await signIn(page, "customer", "/devices");
  await settled(page);
  await expect(page.locator("tbody tr").first()).toBeVisible();
  const [me, ...lists] = (await Promise.all(answers)) as [Me, ...List<Device>[]];
  const owners = new Set(lists.flatMap((list) => list.items.map((device) => device.customer_id)));
  expect([...owners]).toEqual([me.customer_id]);
});

test("a customer's navigation leaves out what is not theirs, and a guessed address is refused", async ({
  page,
}) => {
  await signIn(page, "customer");
  const main = page.getByRole("navigation", { name: "Main" });
  await expect(main.getByRole("link", { name: "My meters" })).toBeVisible();
  for (const name of ["Pipeline", "Onboarding", "Completeness", "Audit"]) {
    await expect(main.getByRole("link", { name })).toHaveCount(0);
  }
  await page.goto("/pipeline");
  await expect(page.getByText("Pipeline is not open to you")).toBeVisible();
});

test("a device that is not there says so", async ({ page }) => {
  await signIn(page, "customer");
  await page.goto("/devices/somebody-elses-meter");
  await expect(page.locator(".state.bad")).toBeVisible();
  await expect(page.getByRole("button", { name: "Try again" })).toBeVisible();
});
