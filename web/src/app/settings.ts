import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { Settings } from "../api/contract.ts";
import { useApi, useMe } from "./context.tsx";

/** The settings of the user, whichever tenant is looked at. */
function useKey() {
  return ["/v1/settings", useMe().subject];
}

export function useUserSettings() {
  const api = useApi();
  return useQuery<Settings, Error>({
    queryKey: useKey(),
    queryFn: () => api.get<Settings>("/v1/settings"),
    staleTime: 300_000,
  });
}

export function useSaveSettings() {
  const api = useApi();
  const queries = useQueryClient();
  const key = useKey();
  return useMutation<Settings | null, Error, Settings>({
    mutationFn: (settings) => api.put<Settings | null>("/v1/settings", settings),
    onSuccess: (_, settings) => queries.setQueryData(key, settings),
  });
}
