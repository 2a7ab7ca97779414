// The smallest program that speaks TLS: `tiny ADDRESS`.
package main

import (
	"crypto/tls"
	"fmt"
	"os"
)

func main() {
	conn, err := tls.Dial("tcp", os.Args[1], &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if _, err := conn.Write([]byte("GET / HTTP/1.0\r\n\r\n")); err == nil {
		_, _ = conn.Read(make([]byte, 512))
	}
	conn.Close()
}
