import type { Api, Query } from "../api/client.ts";

/** Saves an answer of the API as a file. A link alone would not carry the token. */
export async function download(api: Api, path: string, query: Query, name: string): Promise<void> {
  const response = await api.send(path, query);
  saveBlob(await response.blob(), name);
}

export function saveBlob(blob: Blob, name: string) {
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
