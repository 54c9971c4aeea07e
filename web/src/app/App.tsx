import { QueryClientProvider } from "@tanstack/react-query";
import { useState } from "react";
import { RouterProvider } from "react-router";
import { newQueryClient } from "../api/queries.ts";
import { SignIn } from "../auth/SignIn.tsx";
import { Skeleton } from "../ui/states.tsx";
import { type Base, BaseContext, useSessionState } from "./context.tsx";
import { newRouter } from "./routes.tsx";
import { SignedIn } from "./SignedIn.tsx";

export function App({ base }: { base: Base }) {
  const [queries] = useState(newQueryClient);
  return (
    <BaseContext.Provider value={base}>
      <QueryClientProvider client={queries}>
        <Gate />
      </QueryClientProvider>
    </BaseContext.Provider>
  );
}

function Gate() {
  const state = useSessionState();
  if (state.status === "starting") return <Skeleton lines={3} />;
  if (state.status === "signed-out" || state.subject === "") {
    return <SignIn failure={state.status === "signed-out" ? state.failure : null} />;
  }
  return <Pages />;
}

function Pages() {
  const [router] = useState(newRouter);
  return (
    <SignedIn>
      <RouterProvider router={router} />
    </SignedIn>
  );
}
