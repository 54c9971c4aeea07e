import type { Overview } from "../../api/contract.ts";
import { useGet } from "../../api/queries.ts";
import { useMe } from "../../app/context.tsx";
import { useUserSettings } from "../../app/settings.ts";
import { pageLabel } from "../../auth/permissions.ts";
import { Page } from "../../ui/Page.tsx";
import { Loaded, Skeleton } from "../../ui/states.tsx";
import { Ago } from "../../ui/Time.tsx";
import { AlertsCard } from "./AlertsCard.tsx";
import { CompletenessCard } from "./CompletenessCard.tsx";
import { ConsumptionCard } from "./ConsumptionCard.tsx";
import { type CardId, chosenCards } from "./cards.ts";
import { FleetCard } from "./FleetCard.tsx";
import { FreshnessCard } from "./FreshnessCard.tsx";
import "./overview.css";

export default function OverviewPage() {
  const me = useMe();
  const overview = useGet<Overview>("/v1/overview", {}, { every: 30_000 });
  const settings = useUserSettings();
  const cards = chosenCards(me.role, settings.data?.cards ?? []);
  return (
    <Page
      title={me.role === "customer" ? `Good to see you, ${me.name}` : pageLabel("overview", me.role)}
      intro={
        overview.data ? (
          <>
            As of <Ago at={overview.data.as_of} />
          </>
        ) : (
          "Loading the state of your meters"
        )
      }
    >
      <Loaded query={overview} skeleton={<Skeleton height={420} />}>
        {(data) => (
          <div className="grid">
            {cards.map((id) => (
              <OverviewCard key={id} id={id} data={data} />
            ))}
          </div>
        )}
      </Loaded>
    </Page>
  );
}

function OverviewCard({ id, data }: { id: CardId; data: Overview }) {
  switch (id) {
    case "fleet":
      return <FleetCard data={data} />;
    case "alerts":
      return <AlertsCard data={data} />;
    case "completeness":
      return <CompletenessCard days={data.completeness} />;
    case "consumption":
      return <ConsumptionCard data={data} />;
    case "freshness":
      return <FreshnessCard stages={data.freshness} />;
  }
}
