package container

import (
	"encoding/csv"
	"strings"
)

var apptainerGPU = map[string][]string{gpuNvidia: {"--nv"}, gpuAMD: {"--rocm"}}

// apptainerLine is that of apptainer and singularity. As the PanDA pilot of this experiment does by default, it asks for file systems
// and IPC of its own (-c -i), but for no process namespace: a keeper holds the processes together, and can count them.
func apptainerLine(l *launch) error {
	l.add("--quiet", "exec", "--cleanenv", "--contain", "--ipc", "--no-home", "--pwd", l.dir)
	for _, b := range l.binds {
		mount, err := mountField(b, "destination", "ro")
		if err != nil {
			return err
		}
		l.add("--mount", mount)
	}
	if l.spec.Network == networkNone {
		l.add("--net", "--network", "none")
	}
	l.add(apptainerGPU[l.spec.GPU]...)
	l.add(l.options...)
	l.add(l.spec.Options...)
	prefix := "APPTAINERENV_"
	if l.runtime == Singularity {
		prefix = "SINGULARITYENV_"
	}
	for _, v := range packed(l.env) {
		l.outside = append(l.outside, prefix+v)
	}
	image := l.image.ref
	if l.image.kind == imageName && !strings.Contains(image, "://") {
		image = "docker://" + image
	}
	l.end(image)
	return nil
}

// mountField is the value of --mount. It is a line of CSV, so that paths may have commas and colons.
func mountField(b Bind, target, readOnly string) (string, error) {
	fields := []string{"type=bind", "source=" + b.Source, target + "=" + b.Target}
	if !b.Write {
		fields = append(fields, readOnly)
	}
	var text strings.Builder
	w := csv.NewWriter(&text)
	if err := w.Write(fields); err != nil {
		return "", err
	}
	w.Flush()
	return strings.TrimSuffix(text.String(), "\n"), w.Error()
}
