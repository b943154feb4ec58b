// Package site is the configuration of a site: one queue of a batch system, in one TOML file ([Config]), and what follows from it. That
// is the batch system, who says how many pilots are wanted, and how pilots are started: the parts of a harvester but for its store.
//
// Every command of the harvester begins here ([Bind]). The two that are about nothing else are here too: config shows a configuration,
// import makes one.
package site
