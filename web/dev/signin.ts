import { Events, OAuth2Server } from "oauth2-mock-server";
import { USERS } from "./world.ts";

export const CLIENT = "meterway-web";

/** An issuer that lets everybody in as whom they name (`login_hint`). For development only. */
export async function startSignIn(port: number): Promise<string> {
  const server = new OAuth2Server();
  await server.issuer.keys.generate("RS256");
  const names = new Map<string, string>();
  let next = 0;

  server.service.on(
    Events.BeforeAuthorizeRedirect,
    (redirect: { url: URL }, request: { query: Record<string, unknown> }) => {
      const code = redirect.url.searchParams.get("code");
      if (code) names.set(code, String(request.query.login_hint ?? "tom"));
    },
  );
  server.service.on(
    Events.BeforeTokenSigning,
    (token: { payload: Record<string, unknown> }, request: { body: Record<string, string> }) => {
      const user = names.get(request.body.code ?? request.body.refresh_token ?? "") ?? "tom";
      const { name, role, tenant_id, customer_id } = USERS.find((u) => u.username === user) ?? {};
      Object.assign(token.payload, { sub: user, aud: CLIENT, name, role, tenant_id, customer_id });
    },
  );
  server.service.on(
    Events.BeforeResponse,
    (response: { body: Record<string, unknown> }, request: { body: Record<string, string> }) => {
      const user = names.get(request.body.code ?? request.body.refresh_token ?? "") ?? "tom";
      const refresh = `refresh-${next++}`;
      names.set(refresh, user);
      response.body.refresh_token = refresh;
      response.body.expires_in = 600;
    },
  );
  await server.start(port, "127.0.0.1");
  return server.issuer.url ?? "";
}
