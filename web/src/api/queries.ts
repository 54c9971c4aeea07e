import { keepPreviousData, QueryClient, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useApi } from "../app/context.tsx";
import type { Query } from "./client.ts";
import type { Page } from "./contract.ts";
import { Problem } from "./problem.ts";

export function newQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 15_000,
        refetchOnWindowFocus: true,
        retry: (failures, error) => error instanceof Problem && error.transient && failures < 2,
        retryDelay: (attempt) => 400 * 2 ** attempt,
      },
    },
  });
}

export interface GetOptions {
  enabled?: boolean;
  /** Ask again each so many milliseconds while the page is shown. */
  every?: number;
  /** Go on showing the old answer while a new one is on its way. */
  keep?: boolean;
}

export function useGet<T>(path: string, query: Query = {}, options: GetOptions = {}) {
  const api = useApi();
  return useQuery<T, Error>({
    queryKey: [path, api.tenant, query],
    queryFn: ({ signal }) => api.get<T>(path, query, signal),
    enabled: options.enabled ?? true,
    refetchInterval: options.every ?? false,
    ...(options.keep ? { placeholderData: keepPreviousData } : {}),
  });
}

/** A list that is read page by page. */
export function usePages<T>(path: string, query: Query = {}, options: GetOptions = {}) {
  const api = useApi();
  const result = useInfiniteQuery({
    queryKey: [path, api.tenant, query, "pages"],
    queryFn: ({ pageParam, signal }) => api.get<Page<T>>(path, { ...query, cursor: pageParam }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next_cursor,
    enabled: options.enabled ?? true,
    refetchInterval: options.every ?? false,
    ...(options.keep ? { placeholderData: keepPreviousData } : {}),
  });
  return { ...result, items: result.data?.pages.flatMap((page) => page.items) ?? [] };
}
