// @vitest-environment jsdom
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import type { CompletenessDay } from "../../api/contract.ts";
import { Calendar } from "./Calendar.tsx";
import { months } from "./months.ts";

afterEach(cleanup);

const days = ["2026-03-30", "2026-03-31", "2026-04-01", "2026-04-07"].map(
  (local_day) => ({ local_day, completeness: "0.9876" }) as CompletenessDay,
);

it("is one stop of the Tab key, and the arrows go over the end of a month", () => {
  const onChoose = vi.fn();
  render(<Calendar months={months(days)} chosen="2026-03-31" onChoose={onChoose} />);
  const reachable = screen.getAllByRole("button").filter((button) => button.tabIndex === 0);
  expect(reachable.map((button) => button.dataset.day)).toEqual(["2026-03-31"]);
  reachable[0]?.focus();
  fireEvent.keyDown(document.activeElement ?? document.body, { key: "ArrowRight" });
  expect((document.activeElement as HTMLElement).dataset.day).toBe("2026-04-01");
  fireEvent.click(document.activeElement ?? document.body);
  expect(onChoose).toHaveBeenCalledWith("2026-04-01");
});

it("says a day's figure in words, and makes no button of a day without figures", () => {
  render(<Calendar months={months(days)} chosen="" onChoose={() => {}} />);
  expect(screen.getByRole("button", { name: /^(7 Apr|Apr 7),? 2026: 98.76 % complete$/ })).toBeTruthy();
  expect(screen.getAllByRole("button")).toHaveLength(4);
  expect(screen.getAllByRole("button").map((button) => button.tabIndex)).toEqual([-1, -1, -1, 0]);
});
