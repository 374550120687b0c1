// Package check holds what lies in deploy/ against the programs that will read it: the Kubernetes manifests against the
// types of k8s.io/api (unknown and repeated fields are errors) and the Pod Security standard "restricted", the
// Containerfile against BuildKit's own parser, the Prometheus rules and the Grafana dashboard against promtool and the
// list of metrics that carebell exports.
//
// It is a module of its own so that none of these libraries becomes part of carebell. It holds no code, only tests, and
// says nothing about a cluster, a registry or a Prometheus that runs: it reads files.
package check
