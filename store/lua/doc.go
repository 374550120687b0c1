// Package lua holds carebell's Lua scripts and runs them: one key's slot each, any number in one round trip per master.
//
// It promises that a script that a master does not know is sent in full, that slots which have moved are looked up again, and that with confirm
// an answer counts only when a replica has the write, where there are replicas. It does not know what the scripts' words mean: that is
// store's, and stands in each script's head.
package lua
