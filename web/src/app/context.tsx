import { createContext, useContext, useSyncExternalStore } from "react";
import type { Api } from "../api/client.ts";
import type { Me, Permission, WebConfig } from "../api/contract.ts";
import { can } from "../auth/permissions.ts";
import type { Session, SessionState } from "../auth/session.ts";

/** Known from the start, signed in or not. */
export interface Base {
  config: WebConfig;
  session: Session;
}

/** Known once somebody is signed in (and, for an operator, has chosen a tenant). */
export interface Signed {
  me: Me;
  api: Api;
  chooseTenant: (id: string | null) => void;
}

export const BaseContext = createContext<Base | null>(null);
export const SignedContext = createContext<Signed | null>(null);

export function useBase(): Base {
  const base = useContext(BaseContext);
  if (!base) throw new Error("used outside of the app");
  return base;
}

export function useSessionState(): SessionState {
  const { session } = useBase();
  return useSyncExternalStore(session.subscribe, session.snapshot);
}

export function useSigned(): Signed {
  const signed = useContext(SignedContext);
  if (!signed) throw new Error("used before signing in");
  return signed;
}

export function useApi(): Api {
  return useSigned().api;
}

export function useMe(): Me {
  return useSigned().me;
}

export function useCan(permission: Permission): boolean {
  return can(useMe(), permission);
}
