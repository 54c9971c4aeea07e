// @vitest-environment jsdom
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { Problem } from "../api/problem.ts";
import { ErrorState, Loaded } from "./states.tsx";

afterEach(cleanup);

const query = (more: object) => ({ data: undefined, error: null, isError: false, refetch: vi.fn(), ...more });

it("says the API's words, the id of the request, and tries again", () => {
  const retry = vi.fn();
  render(
    <ErrorState
      error={new Problem(503, { title: "The warehouse is away", detail: "Try later.", request_id: "r-9" })}
      onRetry={retry}
    />,
  );
  expect(screen.getByRole("alert").textContent).toContain("The warehouse is away");
  expect(screen.getByText("r-9")).toBeTruthy();
  fireEvent.click(screen.getByRole("button", { name: "Try again" }));
  expect(retry).toHaveBeenCalledOnce();
});

it("treats a refusal as a matter of rights, not as a failure", () => {
  render(<ErrorState error={new Problem(403, { title: "Forbidden" })} onRetry={() => {}} />);
  expect(screen.queryByRole("button")).toBeNull();
  expect(screen.getByText(/not open to you/)).toBeTruthy();
});

it("keeps old content when only a refresh failed, and says so", () => {
  render(
    <Loaded query={query({ data: "old", isError: true, error: new Problem(0, {}) })}>
      {(data) => <p>{String(data)}</p>}
    </Loaded>,
  );
  expect(screen.getByText("old")).toBeTruthy();
  expect(screen.getByText("This may be out of date")).toBeTruthy();
});

it("shows that it is loading", () => {
  render(<Loaded query={query({})}>{() => <p>content</p>}</Loaded>);
  expect(screen.getByRole("status", { name: "Loading" })).toBeTruthy();
});
