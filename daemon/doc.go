// Package daemon is the one place where carebell's parts are joined: it reads the settings and the book, opens the store, builds
// planner, templates, channels, delivery and the web, starts them and stops them in the reverse order under a deadline. The
// demo and every subcommand's work are here too, so that cmd/carebell knows flags and nothing else.
package daemon
