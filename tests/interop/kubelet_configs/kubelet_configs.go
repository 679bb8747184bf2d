package kuberuntime

import (
	"context"
	"encoding/json"

	cadvisorv1 "github.com/google/cadvisor/info/v1"
	noopoteltrace "go.opentelemetry.io/otel/trace/noop"
	v1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	apitest "k8s.io/cri-api/pkg/apis/testing"
	"k8s.io/klog/v2"
	kubeletconfiginternal "k8s.io/kubernetes/pkg/kubelet/apis/config"
	"k8s.io/kubernetes/pkg/kubelet/cm"
	kubecontainer "k8s.io/kubernetes/pkg/kubelet/container"
	containertest "k8s.io/kubernetes/pkg/kubelet/container/testing"
	"k8s.io/utils/ptr"
)

type goldenHelper struct {
	containertest.FakeRuntimeHelper
}

func (h *goldenHelper) GetPodCgroupParent(pod *v1.Pod) string { return "/parent" }
func (h *goldenHelper) GeneratePodHostNameAndDomain(_ klog.Logger, pod *v1.Pod) (string, string, error) {
	return pod.Name, "", nil
}
func (h *goldenHelper) GetPodDNS(ctx context.Context, pod *v1.Pod) (*runtimeapi.DNSConfig, error) {
	return nil, nil
}

type GoldenContainer struct {
	Error  string                      `json:"error,omitempty"`
	Config *runtimeapi.ContainerConfig `json:"config,omitempty"`
}

type Golden struct {
	Pod        json.RawMessage              `json:"pod"`
	Uid        *int64                       `json:"imageUid"`
	Username   string                       `json:"imageUsername"`
	SandboxErr string                       `json:"sandboxError,omitempty"`
	Sandbox    *runtimeapi.PodSandboxConfig `json:"sandbox,omitempty"`
	Containers map[string]GoldenContainer   `json:"containers"`
	Cgroup     map[string]any               `json:"cgroup"`
}

func GoldenOf(ctx context.Context, raw json.RawMessage, uid *int64, username string) (*Golden, error) {
	pod := &v1.Pod{}
	if err := json.Unmarshal(raw, pod); err != nil {
		return nil, err
	}
	images := apitest.NewFakeImageService()
	image := &runtimeapi.Image{Id: "img"}
	if uid != nil {
		image.Uid = &runtimeapi.Int64Value{Value: *uid}
	}
	image.Username = username
	runtime := apitest.NewFakeRuntimeService()
	m, err := newFakeKubeRuntimeManager(ctx, runtime, images, &cadvisorv1.MachineInfo{MemoryCapacity: 4 << 30},
		&containertest.FakeOS{}, &goldenHelper{}, noopoteltrace.NewTracerProvider().Tracer(""))
	if err != nil {
		return nil, err
	}
	m.cpuCFSQuota = true
	m.singleProcessOOMKill = ptr.To(false)
	out := &Golden{Pod: raw, Uid: uid, Username: username, Containers: map[string]GoldenContainer{}}
	sandbox, err := m.generatePodSandboxConfig(ctx, pod, 2)
	if err != nil {
		out.SandboxErr = err.Error()
	} else {
		out.Sandbox = sandbox
	}
	one := func(c *v1.Container, target *kubecontainer.ContainerID) {
		image.RepoTags = []string{c.Image}
		images.Images = map[string]*runtimeapi.Image{c.Image: image}
		config, _, err := m.generateContainerConfig(ctx, c, pod, 3, "", "sha256:1", nil, target, nil)
		if err != nil {
			out.Containers[c.Name] = GoldenContainer{Error: err.Error()}
		} else {
			out.Containers[c.Name] = GoldenContainer{Config: config}
		}
	}
	for i := range pod.Spec.InitContainers {
		one(&pod.Spec.InitContainers[i], nil)
	}
	for i := range pod.Spec.Containers {
		one(&pod.Spec.Containers[i], nil)
	}
	for i := range pod.Spec.EphemeralContainers {
		c := v1.Container(pod.Spec.EphemeralContainers[i].EphemeralContainerCommon)
		var target *kubecontainer.ContainerID
		if pod.Spec.EphemeralContainers[i].TargetContainerName != "" {
			target = &kubecontainer.ContainerID{Type: "containerd", ID: "id-of-" + pod.Spec.EphemeralContainers[i].TargetContainerName}
		}
		one(&c, target)
	}
	rc := cm.ResourceConfigForPod(pod, true, 100000, false, kubeletconfiginternal.NoneMemoryReservationPolicy)
	out.Cgroup = map[string]any{"shares": rc.CPUShares, "quota": rc.CPUQuota, "memory": rc.Memory, "hugepages": rc.HugePageLimit}
	return out, nil
}
