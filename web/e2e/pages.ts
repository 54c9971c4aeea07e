/** Every page that a utility's administrator can open, and what shows that it has data. */
export const PAGES = [
  { name: "Overview", path: "/", shows: ".figures" },
  { name: "Live", path: "/live", shows: "[data-testid=feed] li" },
  { name: "Devices", path: "/devices", shows: "tbody tr" },
  { name: "Consumption", path: "/consumption", shows: ".bar-chart svg" },
  { name: "Alerts", path: "/alerts?state=all", shows: ".alert-item" },
  { name: "Completeness", path: "/completeness", shows: "button.day" },
  { name: "Pipeline", path: "/pipeline", shows: ".stage" },
  { name: "Onboarding", path: "/onboarding", shows: ".channel-row" },
  { name: "Audit", path: "/audit", shows: "h1" },
  { name: "Settings", path: "/settings", shows: ".card-choice" },
];
