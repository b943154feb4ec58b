// A link may bring the token behind its #, which no server and no log gets to see: /login#token=TOKEN
const form = document.getElementById("login");
if (form) {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    history.replaceState(null, "", location.pathname + location.search);
    form.elements.token.value = token;
    form.requestSubmit();
  } else if (!document.querySelector(".banner.wrong")) {
    // Who comes by a link of another site is logged in perhaps: the browser does not bring the cookie along with such a link.
    const next = form.elements.next.value;
    if (next.startsWith("/") && !next.startsWith("//")) {
      const answer = await fetch(next, { method: "HEAD", redirect: "manual" }).catch(() => null);
      if (answer?.ok && !form.elements.token.value) location.replace(next);
    }
  }
}
