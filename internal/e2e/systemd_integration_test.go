//go:build integration

package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// onMachine runs a script as root on a machine of its own, where systemd runs, in a folder that has the programs in bin/ and docs/.
func onMachine(t *testing.T, script string) (output string, err error) {
	t.Helper()
	if os.Getuid() != 0 && os.Getenv("REQUIRE_SERVICES") != "1" {
		t.Skip("a machine of its own takes root")
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	begin := "cd \"$(mktemp -d)\" && ln -s " + bin(t) + " bin && ln -s " + filepath.Join(root, "docs") + " docs\n"
	cmd := exec.CommandContext(ctx, filepath.Join(root, "scripts", "systemd.sh"), "-b", bin(t), "bash", "-euo", "pipefail", "-c", begin+script)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it takes its machine with it
	cmd.WaitDelay = 30 * time.Second
	b, err := cmd.CombinedOutput()
	return string(b), err
}

// install is the page about installing, from its beginning to services that run.
func install(t *testing.T) string {
	t.Helper()
	const page = "docs/operations/install.md"
	var script strings.Builder
	for _, name := range []string{"install", "self-signed", "tls", "authority"} {
		script.WriteString(block(t, page, "sh "+name))
	}
	script.WriteString(`
sed -i 's/^max_workers.*/max_workers = 2/; s/idds.example.org/localhost/; s/^# env/env/' /etc/tfpilot/farm.toml
mkdir /etc/systemd/system/idds.service.d
printf '[Service]\nWatchdogSec=3s\n' >/etc/systemd/system/idds.service.d/soon.conf
`)
	for _, name := range []string{"start", "doctor", "tokens", "check", "harvester"} {
		script.WriteString(block(t, page, "sh "+name))
	}
	script.WriteString(`
for unit in tfpilot-broker idds harvester@farm; do
  echo "$unit is $(systemctl is-active $unit), $(systemctl is-enabled $unit): $(systemctl show -P StatusText $unit)"
done
systemd-analyze verify /etc/systemd/system/{tfpilot-broker,idds,harvester@farm}.service
export TFPILOT_IDDS=https://localhost:8443 TFPILOT_TOKEN_FILE=/etc/tfpilot/viewer.token
# till COMMAND: waits until it succeeds.
till() {
  for _ in $(seq 600); do if eval "$1" >/dev/null; then return; fi; sleep 0.1; done
  echo "in vain: $1"
  idds workers || true
  cat daq.log || true
  journalctl -o cat --no-pager -n 40 | cut -c1-500
  return 1
}
# crash UNIT SIGNAL TIMES: and wait until systemd has started it again so many times.
crash() {
  kill "-$2" "$(systemctl show -P MainPID "$1" | grep -v '^0$')"
  till "[ \"\$(systemctl show -P NRestarts $1)\" = $3 ] && systemctl is-active $1"
}
`)
	return script.String()
}

func TestIntegrationSystemdTheServicesAreInstalledAndOutliveCrashes(t *testing.T) {
	t.Parallel()
	out, err := onMachine(t, install(t)+`
systemd-analyze security --no-pager --threshold=20 idds tfpilot-broker | grep Overall || true
systemd-analyze security --threshold=20 idds >/dev/null
systemd-analyze security --threshold=20 tfpilot-broker >/dev/null

# Slices that take as long as a file is not there, so that pilots are alive when their harvester dies.
printf 'kind = "command"\nname = "gate"\nversion = "1"\ncommand = ["/bin/sh", "-c", "cat >/dev/null; until [ -e /run/gate ]; do sleep 0.1; done; echo {} >$TFPILOT_RESULT"]\n' >/etc/tfpilot/gate.toml
sed -i 's/^token_file = .*pilot.token.*/&\npayload = "\/etc\/tfpilot\/gate.toml"/' /etc/tfpilot/farm.toml
systemctl restart harvester@farm
bin/daq run --broker-addr 127.0.0.1:61612 --namespace epic --run 100001 --stf-count 1 --frames 20 --slices-per-sample 6 \
  --target-worker-count 2 --time-scale 0.1 --state daq --data data >daq.log 2>&1 &
till '[ "$(idds workers | grep -cE "running +true +1 +1 ")" = 2 ]'
pilots=$(pgrep -f '^[^ ]*/pilot run')
systemctl status harvester@farm --no-pager | grep Status:

crash harvester@farm KILL 1
[ "$(pgrep -f '^[^ ]*/pilot run')" = "$pilots" ] && echo 'the pilots outlived their harvester'
crash idds KILL 1
crash idds STOP 2
journalctl -u idds -o cat --no-pager >journal
grep -m 1 'goroutine ' journal
crash tfpilot-broker KILL 1
touch /run/gate
idds run check --wait 1m 100001
`+block(t, "docs/operations/install.md", "sh backup")+block(t, "docs/operations/install.md", "sh upgrade")+`
mkdir old && cp bin/idds old/
`+block(t, "docs/operations/install.md", "sh back")+`
echo "after an upgrade and the way back: $(idds run check 100001)"

systemctl stop harvester@farm
! pgrep -f '^[^ ]*/pilot run' && echo 'no pilot is left'
mv /var/lib/idds/tokens.toml tokens.toml && echo nonsense >/var/lib/idds/tokens.toml && chown tfpilot /var/lib/idds/tokens.toml && chmod 600 /var/lib/idds/tokens.toml
systemctl restart idds || true
till '[ "$(systemctl show -P Result,ActiveState idds | tr "\n" " ")" = "exit-code failed " ]'
echo "idds is $(systemctl is-failed idds), with status $(systemctl show -P ExecMainStatus idds), and is not started again"
systemctl stop idds tfpilot-broker
for unit in tfpilot-broker harvester@farm; do echo "$unit ended: $(systemctl show -P Result $unit)"; done
journalctl -o cat --no-pager >journal
for token in $(grep -oE '[A-Z2-7]{26}' tokens.toml); do if grep -qF "$token" journal; then echo 'a token is in the journal'; exit 1; fi; done
echo "$(grep -oE '[A-Z2-7]{26}' tokens.toml | wc -l) tokens are not in $(wc -l <journal) lines"
`)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"idds is active, enabled", "tfpilot-broker is active, enabled: listens on 127.0.0.1:61612", "harvester@farm is active, enabled",
		"one works on this state and answers at https://127.0.0.1:8443", "which idds takes", "2 pilots wanted",
		"the pilots outlived their harvester", "goroutine ", "published 6 = done 6 + failed 0 + outstanding 0", "no pilot is left",
		"after an upgrade and the way back: run 100001 is closed: published 6 = done 6",
		"idds is failed, with status 50, and is not started again", "tfpilot-broker ended: success", "harvester@farm ended: success", "4 tokens are not in",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in what was said", want)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}
