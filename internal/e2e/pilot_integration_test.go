//go:build integration

package e2e_test

import "testing"

func TestIntegrationArtemisEveryCrashPoint(t *testing.T) {
	t.Parallel()
	crashes(t, true, artemis)
}

func TestIntegrationClassicEveryCrashPoint(t *testing.T) {
	t.Parallel()
	crashes(t, false, classic)
}

func TestIntegrationArtemisAHalfOpenLinkIsFound(t *testing.T) {
	t.Parallel()
	halfOpen(t, artemis)
}

func TestIntegrationClassicAHalfOpenLinkIsFound(t *testing.T) {
	t.Parallel()
	halfOpen(t, classic)
}

func TestIntegrationArtemisPilotsKeepTheirPromises(t *testing.T) {
	t.Parallel()
	promises(t, false, artemis)
}

func TestIntegrationClassicPilotsKeepTheirPromises(t *testing.T) {
	t.Parallel()
	promises(t, true, classic)
}
