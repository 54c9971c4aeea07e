import { useEffect } from "react";
import { useBase } from "./context.tsx";

export function useTitle(title: string) {
  const { product } = useBase().config;
  useEffect(() => {
    document.title = `${title} · ${product}`;
  }, [title, product]);
}
