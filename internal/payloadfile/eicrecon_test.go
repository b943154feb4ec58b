package payloadfile_test

import (
	"strings"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadfile"
)

func TestEICreconIsReadWithItsDefaults(t *testing.T) {
	t.Parallel()
	s, err := payloadfile.Load("eicrecon")
	if err != nil || s.Kind != payloadfile.KindEICrecon || s.Timeout != time.Hour || s.EICrecon.Mode != "" {
		t.Errorf("%+v, %v", s, err)
	}
	s, _, err = load(t, "name = \"x\"\nkind = \"eicrecon\"\ntimeout = \"90s\"\n[eicrecon]\nmode = \"zmq\"\nepic_version = \"26.03.0\"\n"+
		"image = \"docker://eicweb/eic_xl:nightly\"\nstartup_timeout = \"1m\"\nrequest_timeout = \"2m\"\n[eicrecon.parameters]\n\"podio:output_collections\" = \"A,B\"\n")
	e := s.EICrecon
	if err != nil || s.Timeout != 90*time.Second || e.Mode != payloadfile.EICreconZMQ || e.StartupTimeout != time.Minute || e.RequestTimeout != 2*time.Minute ||
		e.Parameters["podio:output_collections"] != "A,B" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestAWrongEICreconNamesTheKey(t *testing.T) {
	t.Parallel()
	const head = "name = \"x\"\nkind = \"eicrecon\"\n[eicrecon]\n"
	for want, text := range map[string]string{
		`eicrecon.mode "resident" is neither oneshot nor zmq`:                 head + "mode = \"resident\"\n",
		`:4: unknown key "eicrecon.version"`:                                  head + "version = \"26\"\n",
		`:4: eicrecon.request_timeout = 5 has no unit`:                        head + "request_timeout = 5\n",
		`eicrecon.startup_timeout = -1s: must be at least 1ms`:                head + "startup_timeout = \"-1s\"\n",
		`epic_version: "26; rm -rf x" is no version`:                          head + "epic_version = \"26; rm -rf x\"\n",
		`epic_version: "../../x" is no version`:                               head + "epic_version = \"../../x\"\n",
		`eicrecon.image: "eic_xl.sif" is neither an absolute path`:            head + "image = \"eic_xl.sif\"\n",
		`eicrecon.image: "/a/../b" leads upward`:                              head + "image = \"/a/../b\"\n",
		`eicrecon.images: "--writable" is neither`:                            head + "images = [\"--writable\"]\n",
		`eicrecon.socket_dir "tmp" is no absolute path`:                       head + "socket_dir = \"tmp\"\n",
		`eicrecon.parameters: jana:nskip is set for every slice`:              head + "parameters = {\"jana:nskip\" = \"1\"}\n",
		`eicrecon.parameters: nthreads is set for every slice`:                head + "parameters = {nthreads = \"8\"}\n",
		`eicrecon.parameters: "a=b" = "c" is no parameter`:                    head + "parameters = {\"a=b\" = \"c\"}\n",
		`env.A: ${TFPILOT_INPUT} is not known when`:                           "name = \"x\"\nkind = \"eicrecon\"\n[env]\nA = \"${TFPILOT_INPUT}\"\n",
		`:3: command: kind eicrecon has its own`:                              "name = \"x\"\nkind = \"eicrecon\"\ncommand = [\"x\"]\n",
		`:4: [eicrecon] is for kind eicrecon, not command`:                    "name = \"x\"\nkind = \"command\"\ncommand = [\"x\"]\n[eicrecon]\nmode = \"zmq\"\n",
		`kind "docker" is none of command, resident, tfreco, synthetic, eicr`: "name = \"x\"\nkind = \"docker\"\n",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			_, _, err := load(t, text)
			if err == nil || !strings.Contains(err.Error(), want) || exitcode.From(err) != exitcode.Usage {
				t.Errorf("got %v", err)
			}
		})
	}
}
