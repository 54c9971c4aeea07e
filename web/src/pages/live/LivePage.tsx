import { useQueryClient } from "@tanstack/react-query";
import { Pause, Play } from "lucide-react";
import { useState } from "react";
import { useMe } from "../../app/context.tsx";
import { count } from "../../lib/format.ts";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { Page } from "../../ui/Page.tsx";
import { Segmented } from "../../ui/Segmented.tsx";
import { Empty, Notice } from "../../ui/states.tsx";
import { FeedList } from "./FeedList.tsx";
import { OpenAlerts } from "./OpenAlerts.tsx";
import { StreamBadge } from "./StreamBadge.tsx";
import { useLiveFeed } from "./useLiveFeed.ts";
import "./live.css";

type Shown = "all" | "reading" | "alert";

const SHOWN: { value: Shown; text: string }[] = [
  { value: "all", text: "Everything" },
  { value: "reading", text: "Readings" },
  { value: "alert", text: "Alerts" },
];

export default function LivePage() {
  const queries = useQueryClient();
  const customer = useMe().role === "customer";
  const [shown, setShown] = useState<Shown>("all");
  const { feed, state, retryAt, setPaused } = useLiveFeed(
    () => void queries.invalidateQueries({ queryKey: ["/v1/alerts"] }),
  );
  const items = feed.items.filter((item) => shown === "all" || item.type === shown);
  return (
    <Page
      title="Live"
      intro={
        customer
          ? "What your meters report, as it arrives"
          : "What arrives from the meters, at most one reading a second of each"
      }
      actions={
        <>
          <StreamBadge state={state} retryAt={retryAt} />
          <Button
            kind={feed.paused ? "primary" : "plain"}
            aria-pressed={feed.paused}
            icon={feed.paused ? <Play size={16} /> : <Pause size={16} />}
            onClick={() => setPaused(!feed.paused)}
          >
            {feed.paused ? `Go on (${count(feed.held.length)} waiting)` : "Pause"}
          </Button>
        </>
      }
    >
      <div className="grid top">
        <OpenAlerts kind="CONTINUOUS_FLOW" title="Possible leaks" none="No leak is suspected." />
        <OpenAlerts kind="OUTAGE" title="Power outages" none="Every meter has power." />
      </div>
      <Card
        flush
        title="Feed"
        note={`${count(feed.received)} received since you opened the page`}
        actions={<Segmented label="Show" value={shown} options={SHOWN} onChange={setShown} />}
      >
        {feed.dropped > 0 && (
          <Notice tone="warn" title={`${count(feed.dropped)} left out`}>
            More arrived than this connection could carry. Nothing is missing in the data itself.
          </Notice>
        )}
        {items.length === 0 ? (
          <Empty title={state === "open" ? "Waiting for the first one" : "Not connected yet"}>
            Readings appear here a moment after they were validated.
          </Empty>
        ) : (
          <FeedList items={items} />
        )}
      </Card>
    </Page>
  );
}
