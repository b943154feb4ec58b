package payloadfile

import "time"

// Synthetic is the script of the fake.
type Synthetic struct {
	// Mode is one of SyntheticModes.
	Mode string `toml:"mode"`
	// Duration of sleep and burn.
	Duration time.Duration `toml:"-"`
	// SizeMB of what grow takes and print prints.
	SizeMB int `toml:"size_mb"`
	// Permanent makes fail a permanent failure.
	Permanent bool `toml:"permanent"`
}

// SyntheticModes are what the fake can do.
func SyntheticModes() []string {
	return []string{"noop", "sleep", "burn", "grow", "print", "crash", "hang", "fail"}
}
