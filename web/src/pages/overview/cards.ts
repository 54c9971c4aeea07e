import type { Role } from "../../api/contract.ts";

export const CARDS = {
  fleet: "State of the devices",
  alerts: "Open alerts",
  completeness: "Completeness",
  consumption: "Consumption",
  freshness: "Freshness of the data",
} as const;

export type CardId = keyof typeof CARDS;

const ALL: CardId[] = ["fleet", "alerts", "consumption", "completeness", "freshness"];

/** The cards that make sense for a role, in the order of a new user. */
export function defaultCards(role: Role): CardId[] {
  return role === "customer" ? ["consumption", "fleet", "alerts", "completeness"] : ALL;
}

/** The cards in the user's order; what the role does not have, or what is no card (any more), is left out. */
export function chosenCards(role: Role, saved: string[]): CardId[] {
  const known = defaultCards(role);
  const chosen = [...new Set(saved)].filter((id): id is CardId => known.includes(id as CardId));
  return chosen.length > 0 ? chosen : known;
}
