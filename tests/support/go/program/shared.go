//go:build shared
// +build shared

package main

import "C"

import "os"

// Runs the program within one in C, whose first argument is the library that this is.
//
//export Run
func Run() {
	os.Args = os.Args[1:]
	main()
}
