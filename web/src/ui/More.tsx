import { Button } from "./Button.tsx";

interface Props {
  query: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => unknown };
  shown: number;
}

/** Goes on with a list that is read page by page. */
export function More({ query, shown }: Props) {
  if (!query.hasNextPage) return null;
  return (
    <div className="more">
      <Button disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
        {query.isFetchingNextPage ? "Loading…" : `Show more after the first ${shown}`}
      </Button>
    </div>
  );
}
