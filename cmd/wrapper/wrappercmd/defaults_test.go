package wrappercmd_test

import (
	"testing"

	"tfpilot/idds"
	"tfpilot/internal/config"
	"tfpilot/pilot"
	"tfpilot/wrapper/report"
)

func TestTheNumbersThatAReportNamesAreTheDefaults(t *testing.T) {
	t.Parallel()
	var p pilot.Config
	var i idds.Config
	config.Defaults(&p)
	config.Defaults(&i)
	if p.MaxReleases != report.MaxReleases || i.MaxAttempts != report.MaxAttempts {
		t.Errorf("%d releases, %d attempts", p.MaxReleases, i.MaxAttempts)
	}
}
