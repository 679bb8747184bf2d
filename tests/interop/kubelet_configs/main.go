package main

import (
	"context"
	"encoding/json"
	"os"

	utilfeature "k8s.io/apiserver/pkg/util/feature"
	_ "k8s.io/kubernetes/pkg/features"
	"k8s.io/kubernetes/pkg/kubelet/kuberuntime"
)

type input struct {
	Pod      json.RawMessage `json:"pod"`
	Uid      *int64          `json:"imageUid"`
	Username string          `json:"imageUsername"`
}

func main() {
	// The field reaches a node only from an API server that has it on.
	if err := utilfeature.DefaultMutableFeatureGate.Set("ContainerStopSignals=true"); err != nil {
		panic(err)
	}
	dec := json.NewDecoder(os.Stdin)
	enc := json.NewEncoder(os.Stdout)
	for dec.More() {
		in := input{}
		if err := dec.Decode(&in); err != nil {
			panic(err)
		}
		out, err := kuberuntime.GoldenOf(context.Background(), in.Pod, in.Uid, in.Username)
		if err != nil {
			panic(err)
		}
		if err := enc.Encode(out); err != nil {
			panic(err)
		}
	}
}
