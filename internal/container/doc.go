// Package container runs a program inside a container: it makes the command line of the runtime, and tells afterwards whether the
// program was started at all.
//
// A [Spec] says what image, and if need be which runtime: Apptainer, Singularity, podman, docker, or bubblewrap on an unpacked root,
// for which nothing else has to be installed. [New] finds the runtime and looks at the image; [Container.Try] starts something in
// it, so that a node which cannot is known before there is work; [Container.Start] turns a [proc.Command] into one that runs inside.
// There is no shell anywhere, and no value of the environment stands on a command line.
//
// Inside, the image is read-only, and paths are what they are outside: the work directory and whatever else a program needs is
// bound to where it is. The first program in every container is this same executable (see enter.go), which says so on stderr and
// becomes the program that was asked for. Without that word whatever went wrong is the runtime's, however the exit status of the
// program would read; with it all is the program's own.
package container
