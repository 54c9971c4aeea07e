import type { Pipeline } from "../../api/contract.ts";
import { useGet } from "../../api/queries.ts";
import { count, duration } from "../../lib/format.ts";
import { Page } from "../../ui/Page.tsx";
import { Loaded, Notice, Skeleton } from "../../ui/states.tsx";
import { Ago } from "../../ui/Time.tsx";
import { LoadsCard } from "./LoadsCard.tsx";
import { RejectedCard } from "./RejectedCard.tsx";
import { StageCards } from "./StageCards.tsx";
import { WayPicture } from "./WayPicture.tsx";
import "./pipeline.css";

export default function PipelinePage() {
  const pipeline = useGet<Pipeline>("/v1/pipeline", {}, { every: 5000 });
  return (
    <Page
      title="Pipeline"
      intro={
        <>
          The way of a reading, from the gateway to the fact table.{" "}
          {pipeline.data && (
            <>
              As of <Ago at={pipeline.data.as_of} />
            </>
          )}
        </>
      }
    >
      <Loaded query={pipeline} skeleton={<Skeleton height={320} />}>
        {(data) => (
          <>
            <Verdict data={data} />
            <WayPicture stages={data.stages} />
            <StageCards stages={data.stages} />
            <div className="grid">
              <RejectedCard data={data} />
              <LoadsCard loads={data.loads} />
            </div>
          </>
        )}
      </Loaded>
    </Page>
  );
}

function Verdict({ data }: { data: Pipeline }) {
  const down = data.stages.filter((stage) => stage.state === "down");
  const late = data.stages.filter((stage) => stage.state === "late");
  const names = (stages: typeof down) => stages.map((stage) => stage.label).join(", ");
  return (
    <>
      {down.length > 0 && (
        <Notice tone="bad" title={`Down: ${names(down)}`}>
          Nothing is lost: what cannot go on is kept in the stage before. The runbook says what to do.
        </Notice>
      )}
      {late.length > 0 && (
        <Notice tone="warn" title={`Late: ${names(late)}`}>
          {late
            .map((stage) => stage.detail)
            .filter(Boolean)
            .join(" ")}
        </Notice>
      )}
      {data.missing_partitions.map((missing) => (
        <Notice
          key={`${missing.topic} ${missing.partition}`}
          tone="bad"
          title={`${missing.topic}, partition ${missing.partition} is silent`}
        >
          {missing.detail}
          {missing.since && <> Since {duration((Date.now() - Date.parse(missing.since)) / 1000)}.</>}
        </Notice>
      ))}
      {down.length + late.length + data.missing_partitions.length === 0 && (
        <Notice tone="good" title={`All ${count(data.stages.length)} stages keep up`} />
      )}
    </>
  );
}
