package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/testbed"
)

// A certificate names the machine as its users call it, not the loopback that the doctor asks at.
func TestTheDoctorAsksByTheNameThatTheCertificateIsFor(t *testing.T) {
	t.Parallel()
	stack, err := testbed.NewStack(t.TempDir(), bin(t))
	must(t, err)
	t.Cleanup(stack.StopAll)
	inner, err := testbed.JoinChain(stack, namespace, "")
	must(t, err)
	c := &chain{Chain: inner}
	must(t, c.StartBroker(t.Context()))
	certFile, keyFile := certificate(t, t.TempDir(), time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "idds.example.org")
	must(t, c.StartIDDS(t.Context(), "--tls-cert", certFile, "--tls-key", keyFile))
	address := filepath.Join(t.TempDir(), "address")
	must(t, os.WriteFile(address, []byte(strings.TrimPrefix(c.IDDS, "http://")), 0o600))
	ask := "idds doctor --state " + c.Path("idds") + " --broker-addr " + c.Broker + " --namespace " + namespace + " --tls-cert " + certFile + " --tls-key " + keyFile
	port := c.IDDS[strings.LastIndex(c.IDDS, ":")+1:]
	for _, try := range []struct{ script, want string }{
		{"SSL_CERT_FILE=" + certFile + " " + ask + " --address-file " + address, "one works on this state and answers at https://127.0.0.1:"},
		{"SSL_CERT_FILE=/dev/null " + ask + " --address-file " + address, "do: authorities of your own stand in the file that SSL_CERT_FILE names"},
		{"SSL_CERT_FILE=" + certFile + " TFPILOT_IDDS=https://localhost:" + port + " " + ask, "do: ask it by a name that its certificate is for"},
	} {
		if out, _ := shell(t, t.TempDir(), try.script); !strings.Contains(out, try.want) {
			t.Errorf("want %q\n%s", try.want, out)
		}
	}
}
