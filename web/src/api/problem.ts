/** What the API says when it refuses (RFC 9457), or what stands for it when no answer came. */
export class Problem extends Error {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly requestId: string | null;
  readonly errors: { field: string; detail: string }[];

  constructor(status: number, body: Record<string, unknown>) {
    const title = text(body.title) ?? (status === 0 ? "No connection" : `The server answered ${status}`);
    super(title);
    this.status = status;
    this.title = title;
    this.detail = text(body.detail) ?? "";
    this.requestId = text(body.request_id);
    this.errors = Array.isArray(body.errors) ? body.errors.filter(isFieldError) : [];
  }

  /** Whether asking again may help. */
  get transient(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function isFieldError(value: unknown): value is { field: string; detail: string } {
  const entry = value as { field?: unknown; detail?: unknown } | null;
  return typeof entry?.field === "string" && typeof entry.detail === "string";
}

export async function problemOf(response: Response): Promise<Problem> {
  const body = await response.json().catch(() => ({}));
  const fields = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  return new Problem(response.status, {
    request_id: response.headers.get("x-request-id"),
    ...fields,
  });
}
