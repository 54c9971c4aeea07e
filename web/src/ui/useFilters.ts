import { useSearchParams } from "react-router";

/** Filters live in the address, so that a view can be kept, shared and gone back to. */
export function useFilters(): [(name: string) => string, (changes: Record<string, string | null>) => void] {
  const [search, setSearch] = useSearchParams();
  const set = (changes: Record<string, string | null>) =>
    setSearch(
      (before) => {
        const after = new URLSearchParams(before);
        for (const [name, value] of Object.entries(changes)) {
          if (value === null || value === "") after.delete(name);
          else after.set(name, value);
        }
        return after;
      },
      { replace: true, preventScrollReset: true },
    );
  return [(name) => search.get(name) ?? "", set];
}
