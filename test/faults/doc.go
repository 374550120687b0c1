// Package faults kills, stops, starves and cuts off carebell, and holds its books against those of the receiving side.
//
// It promises that every test is judged by one oracle (Judge): the sinks are processes of their own that write each accept to an
// fsynced journal before they answer, and the daemon's records must agree with that journal whatever has happened. It prints each
// row's figures as measured. The rows are those of docs/reliability.md.
//
// It doesn't promise a machine that loses power: a killed process leaves its written files behind.
//
// With the build tag e2e the rows run with small figures, within minutes; with the tag faults with the full ones.
package faults
