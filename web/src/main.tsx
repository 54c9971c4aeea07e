import "@fontsource-variable/inter/wght.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/ui.css";
import "./styles/charts.css";
import { UserManager } from "oidc-client-ts";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import type { WebConfig } from "./api/contract.ts";
import { Problem, problemOf } from "./api/problem.ts";
import { App } from "./app/App.tsx";
import { StartFailed } from "./app/StartFailed.tsx";
import { applyTheme, rememberedTheme } from "./app/theme.ts";
import { Session, settings } from "./auth/session.ts";

async function readConfig(): Promise<WebConfig> {
  const response = await fetch("/v1/config").catch(() => {
    throw new Problem(0, { detail: "The service could not be reached." });
  });
  if (!response.ok) throw await problemOf(response);
  return (await response.json()) as WebConfig;
}

async function start(root: ReturnType<typeof createRoot>) {
  applyTheme(rememberedTheme());
  try {
    const config = await readConfig();
    document.title = config.product;
    const session = new Session(new UserManager(settings(config, location.origin, sessionStorage)));
    const path = await session.start(location);
    if (path !== null) history.replaceState(null, "", path);
    root.render(
      <StrictMode>
        <App base={{ config, session }} />
      </StrictMode>,
    );
  } catch (error) {
    root.render(<StartFailed error={error} />);
  }
}

const element = document.getElementById("root");
if (element) void start(createRoot(element));
