import type { ButtonHTMLAttributes, ReactNode } from "react";

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: "plain" | "primary" | "quiet";
  icon?: ReactNode;
}

export function Button({ kind = "plain", icon, className = "", children, ...rest }: Props) {
  return (
    <button type="button" className={`button ${kind} ${children ? "" : "only-icon"} ${className}`} {...rest}>
      {icon && <span aria-hidden="true">{icon}</span>}
      {children}
    </button>
  );
}
