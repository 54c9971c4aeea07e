import { useState } from "react";
import { Page } from "../../ui/Page.tsx";
import { Segmented } from "../../ui/Segmented.tsx";
import { CsvImport } from "./CsvImport.tsx";
import { DeviceForm } from "./DeviceForm.tsx";
import "./onboarding.css";

export default function OnboardingPage() {
  const [way, setWay] = useState<"one" | "many">("one");
  return (
    <Page
      title="Onboarding"
      intro="A device is ready to deliver as soon as it is registered"
      actions={
        <Segmented
          label="How many"
          value={way}
          options={[
            { value: "one", text: "One device" },
            { value: "many", text: "Many, from a file" },
          ]}
          onChange={setWay}
        />
      }
    >
      {way === "one" ? <DeviceForm /> : <CsvImport />}
    </Page>
  );
}
