import { LogOut, Menu, X } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Link, Outlet, useLocation, useNavigation } from "react-router";
import { ROLE_TEXT } from "../auth/permissions.ts";
import { Brand } from "../ui/Brand.tsx";
import { Button } from "../ui/Button.tsx";
import { useBase, useMe } from "./context.tsx";
import { Navigation } from "./Navigation.tsx";
import { TenantPicker } from "./TenantPicker.tsx";

export function Shell() {
  const me = useMe();
  const { config, session } = useBase();
  const { pathname } = useLocation();
  const moving = useNavigation().state !== "idle";
  const [open, setOpen] = useState(false);
  const main = useRef<HTMLElement>(null);
  const shown = useRef(pathname);

  useEffect(() => {
    if (shown.current === pathname) return;
    shown.current = pathname;
    setOpen(false);
    window.scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [pathname]);

  return (
    <div className={`shell${open ? " nav-open" : ""}`}>
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <header className="topbar">
        <Link to="/" className="home" aria-label={`${config.product}, start page`}>
          <Brand />
        </Link>
        <Button
          className="menu-button"
          aria-expanded={open}
          aria-controls="side"
          onClick={() => setOpen(!open)}
          icon={open ? <X size={18} /> : <Menu size={18} />}
        >
          Menu
        </Button>
      </header>
      <div className="side" id="side">
        {me.role === "operator" && <TenantPicker />}
        <Navigation me={me} />
        <div className="who">
          <div>
            <strong className="name">{me.name}</strong>
            <span className="muted small">{ROLE_TEXT[me.role]}</span>
          </div>
          <Button icon={<LogOut size={16} />} kind="quiet" onClick={() => void session.signOut()}>
            Sign out
          </Button>
        </div>
      </div>
      <main id="main" ref={main} tabIndex={-1} aria-busy={moving}>
        {moving && <div className="moving" role="progressbar" aria-label="Loading the page" />}
        <Outlet />
        <footer className="foot muted small">
          {config.docs.map((link) => (
            <a key={link.url} href={link.url}>
              {link.label}
            </a>
          ))}
          <a href="/openapi.json">API</a>
        </footer>
      </main>
    </div>
  );
}
