// The sign-in page, with the same names of fields and button as Keycloak's, so that one script signs in to both.
const escaped = (text) => text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);

export const page = (username, failed) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in to Meterway (test)</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; display: grid; place-items: center; min-height: 90vh; }
  form { display: grid; gap: .75rem; width: 18rem; }
  input, button { font: inherit; padding: .4rem; width: 100%; box-sizing: border-box; }
</style>
</head>
<body>
<main>
<h1>Sign in</h1>
<form id="kc-form-login" method="post">
  ${failed ? '<p id="input-error" role="alert">Invalid username or password.</p>' : ''}
  <label for="username">Username
    <input id="username" name="username" value="${escaped(username)}" autocomplete="username" autofocus></label>
  <label for="password">Password
    <input id="password" name="password" type="password" autocomplete="current-password"></label>
  <button id="kc-login" type="submit">Sign In</button>
</form>
</main>
</body>
</html>
`;
