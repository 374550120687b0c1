package check

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// strict decodes a manifest into its Go type and refuses fields that the type does not have or that stand twice.
func strict(t *testing.T) func([]byte) (runtime.Object, error) {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, appsv1.AddToScheme, policyv1.AddToScheme, networkingv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	s := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true})
	return func(doc []byte) (runtime.Object, error) {
		obj, _, err := s.Decode(doc, nil, nil)
		return obj, err
	}
}

// documents splits a YAML stream, leaving out documents that hold nothing but comments.
func documents(text []byte) ([][]byte, error) {
	var docs [][]byte
	r := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		doc, err := r.Read()
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, err
		}
		if hasContent(doc) {
			docs = append(docs, doc)
		}
	}
}

func hasContent(doc []byte) bool {
	for line := range strings.Lines(string(doc)) {
		line = strings.TrimSpace(line)
		if line != "" && line != "---" && !strings.HasPrefix(line, "#") {
			return true
		}
	}
	return false
}

// cluster is everything that the overlay makes, by type and name.
type cluster struct {
	namespaces  map[string]*corev1.Namespace
	deployment  *appsv1.Deployment
	configMaps  map[string]*corev1.ConfigMap
	secrets     map[string]*corev1.Secret
	services    map[string]*corev1.Service
	accounts    map[string]*corev1.ServiceAccount
	budgets     map[string]*policyv1.PodDisruptionBudget
	netPolicies map[string]*networkingv1.NetworkPolicy
}

func newCluster() *cluster {
	return &cluster{
		namespaces: map[string]*corev1.Namespace{}, configMaps: map[string]*corev1.ConfigMap{}, secrets: map[string]*corev1.Secret{},
		services: map[string]*corev1.Service{}, accounts: map[string]*corev1.ServiceAccount{},
		budgets: map[string]*policyv1.PodDisruptionBudget{}, netPolicies: map[string]*networkingv1.NetworkPolicy{},
	}
}

// add files an object. A second Deployment, or a type that this check does not know, is an error: nothing goes unread.
func (c *cluster) add(obj runtime.Object) error {
	switch o := obj.(type) {
	case *corev1.Namespace:
		c.namespaces[o.Name] = o
	case *appsv1.Deployment:
		if c.deployment != nil {
			return fmt.Errorf("a second Deployment %s", o.Name)
		}
		c.deployment = o
	case *corev1.ConfigMap:
		c.configMaps[o.Name] = o
	case *corev1.Secret:
		c.secrets[o.Name] = o
	case *corev1.Service:
		c.services[o.Name] = o
	case *corev1.ServiceAccount:
		c.accounts[o.Name] = o
	case *policyv1.PodDisruptionBudget:
		c.budgets[o.Name] = o
	case *networkingv1.NetworkPolicy:
		c.netPolicies[o.Name] = o
	default:
		return fmt.Errorf("%T: teach deploy/check this type", obj)
	}
	return nil
}

const kubernetes = "../kubernetes"

// build does what an operator does: copies the example, brings the book, runs kustomize, and decodes what comes out.
func build(t *testing.T, book string) *cluster {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(kubernetes)); err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(dir, "example")
	if err := os.RemoveAll(filepath.Join(overlay, "book")); err != nil {
		t.Fatal(err)
	}
	bringBook(t, book, filepath.Join(overlay, "book"))
	return decode(t, overlay)
}

// bringBook runs the script that turns a care book into a component.
func bringBook(t *testing.T, book, out string) {
	t.Helper()
	said, err := exec.CommandContext(t.Context(), kubernetes+"/book", book, out).CombinedOutput()
	if err != nil {
		t.Fatalf("deploy/kubernetes/book: %v\n%s", err, said)
	}
}

func decode(t *testing.T, overlay string) *cluster {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), overlay)
	if err != nil {
		t.Fatalf("kustomize: %v", err)
	}
	text, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	docs, err := documents(text)
	if err != nil {
		t.Fatal(err)
	}
	c, read := newCluster(), strict(t)
	for _, doc := range docs {
		obj, err := read(doc)
		if err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		if err := c.add(obj); err != nil {
			t.Fatal(err)
		}
	}
	// The Secret is not part of the overlay; the example shows which keys it must have.
	example, err := os.ReadFile(kubernetes + "/secret.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	obj, err := read(example)
	if err != nil {
		t.Fatalf("secret.example.yaml: %v", err)
	}
	if err := c.add(obj); err != nil {
		t.Fatal(err)
	}
	if c.deployment == nil {
		t.Fatal("the overlay makes no Deployment")
	}
	return c
}

func (c *cluster) pod() corev1.PodSpec           { return c.deployment.Spec.Template.Spec }
func (c *cluster) container() corev1.Container   { return c.pod().Containers[0] }
func (c *cluster) podLabels() labels.Set         { return c.deployment.Spec.Template.Labels }
func port(c corev1.Container, name string) int32 { return portOf(c, intstr.FromString(name)) }

// portOf resolves a port's name or number to a port that the container listens on; 0 when there is none.
func portOf(c corev1.Container, want intstr.IntOrString) int32 {
	for _, p := range c.Ports {
		if (want.Type == intstr.String && p.Name == want.StrVal) || (want.Type == intstr.Int && p.ContainerPort == want.IntVal) {
			return p.ContainerPort
		}
	}
	return 0
}

// TestManifestsDecodeStrictly reads every file of the base as it lies there, before kustomize touches it.
func TestManifestsDecodeStrictly(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(kubernetes + "/base/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	read, count := strict(t), 0
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue // read by kustomize itself, which is strict too
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		docs, err := documents(text)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, doc := range docs {
			count++
			if _, err := read(doc); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	if count < 7 {
		t.Errorf("only %d objects in %s/base: is the folder complete?", count, kubernetes)
	}
}

// TestStrictMeansStrict shows that the decoder refuses what a cluster would silently drop.
func TestStrictMeansStrict(t *testing.T) {
	t.Parallel()
	read := strict(t)
	for name, doc := range map[string]string{
		"unknown field": "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {slector: {a: b}}\n",
		"wrong case":    "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {Selector: {a: b}}\n",
		"twice":         "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {selector: {a: b}, selector: {a: c}}\n",
		"wrong type":    "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {ports: [{port: \"http\"}]}\n",
		"unknown kind":  "apiVersion: v1\nkind: Servise\nmetadata: {name: x}\n",
	} {
		if _, err := read([]byte(doc)); err == nil {
			t.Errorf("%s: decoded without an error", name)
		}
	}
}

// TestPodSecurityRestricted asks the admission plugin's own rules, in their latest version.
func TestPodSecurityRestricted(t *testing.T) {
	t.Parallel()
	c := build(t, "testdata/book")
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	meta, spec := c.deployment.Spec.Template.ObjectMeta, c.pod()
	if result := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &meta, &spec)); !result.Allowed {
		t.Errorf("Pod Security restricted: %s", result.ForbiddenDetail())
	}

	// The rules bite: the same pod, allowed one thing too much.
	loose := c.deployment.DeepCopy().Spec.Template.Spec
	yes := true
	loose.Containers[0].SecurityContext.AllowPrivilegeEscalation = &yes
	if policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &meta, &loose)).Allowed {
		t.Error("a container that may gain privileges passed")
	}

	// What the standard leaves open and we do not.
	for _, ctr := range append(slices.Clone(spec.InitContainers), spec.Containers...) {
		sc := ctr.SecurityContext
		if sc == nil || sc.ReadOnlyRootFilesystem == nil || !*sc.ReadOnlyRootFilesystem {
			t.Errorf("container %s: set readOnlyRootFilesystem", ctr.Name)
		}
		if ctr.Resources.Requests.Cpu().IsZero() || ctr.Resources.Requests.Memory().IsZero() || ctr.Resources.Limits.Memory().IsZero() {
			t.Errorf("container %s: set requests for cpu and memory and a limit for memory", ctr.Name)
		}
	}
	if spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken {
		t.Error("the pod gets a token for the cluster's API, which carebell never calls")
	}
	ns := c.namespaces[c.deployment.Namespace]
	if ns == nil {
		t.Fatalf("the Deployment's namespace %q is not among the manifests", c.deployment.Namespace)
	}
	if got := ns.Labels["pod-security.kubernetes.io/enforce"]; got != "restricted" {
		t.Errorf("namespace enforces %q, want restricted", got)
	}
}

// TestReferencesHold follows every name that one object has for another.
func TestReferencesHold(t *testing.T) {
	t.Parallel()
	c := build(t, "testdata/book")
	pod, ctr := c.pod(), c.container()

	account := c.accounts[pod.ServiceAccountName]
	if account == nil {
		t.Errorf("ServiceAccount %q is not there", pod.ServiceAccountName)
	} else if account.AutomountServiceAccountToken == nil || *account.AutomountServiceAccountToken {
		t.Error("the ServiceAccount mounts a token")
	}
	for _, from := range ctr.EnvFrom {
		if from.ConfigMapRef == nil || c.configMaps[from.ConfigMapRef.Name] == nil {
			t.Errorf("envFrom %+v refers to nothing", from)
		}
	}
	volumes := map[string]corev1.Volume{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = v
		switch {
		case v.ConfigMap != nil && c.configMaps[v.ConfigMap.Name] == nil:
			t.Errorf("volume %s: ConfigMap %q is not there", v.Name, v.ConfigMap.Name)
		case v.Secret != nil && c.secrets[v.Secret.SecretName] == nil:
			t.Errorf("volume %s: Secret %q is not there", v.Name, v.Secret.SecretName)
		}
	}
	mounted := map[string]corev1.VolumeMount{}
	for _, m := range ctr.VolumeMounts {
		if _, ok := volumes[m.Name]; !ok {
			t.Errorf("mount %s: no such volume", m.MountPath)
		}
		mounted[m.MountPath] = m
		delete(volumes, m.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(volumes)) {
		t.Errorf("volume %s is mounted nowhere", name)
	}

	for name, probe := range map[string]*corev1.Probe{"startup": ctr.StartupProbe, "readiness": ctr.ReadinessProbe, "liveness": ctr.LivenessProbe} {
		want := map[string]string{"startup": "/healthz", "readiness": "/readyz", "liveness": "/healthz"}[name]
		switch {
		case probe == nil || probe.HTTPGet == nil:
			t.Errorf("%s probe: none", name)
		case probe.HTTPGet.Path != want || portOf(ctr, probe.HTTPGet.Port) != port(ctr, "private"):
			t.Errorf("%s probe asks %s on %s, want %s on the private port", name, probe.HTTPGet.Path, probe.HTTPGet.Port.String(), want)
		}
	}

	selectors := map[string]labels.Selector{"Deployment": selector(t, c.deployment.Spec.Selector)}
	for name, s := range c.services {
		selectors["Service "+name] = labels.SelectorFromSet(s.Spec.Selector)
		for _, p := range s.Spec.Ports {
			if portOf(ctr, p.TargetPort) == 0 {
				t.Errorf("Service %s: the container has no port %s", name, p.TargetPort.String())
			}
		}
	}
	for name, b := range c.budgets {
		selectors["PodDisruptionBudget "+name] = selector(t, b.Spec.Selector)
		if b.Spec.MinAvailable == nil || b.Spec.MinAvailable.IntValue() >= int(*c.deployment.Spec.Replicas) {
			t.Errorf("PodDisruptionBudget %s lets no pod go: a node could never be drained", name)
		}
	}
	for name, n := range c.netPolicies {
		selectors["NetworkPolicy "+name] = selector(t, &n.Spec.PodSelector)
		for _, in := range n.Spec.Ingress {
			for _, p := range in.Ports {
				if portOf(ctr, *p.Port) == 0 {
					t.Errorf("NetworkPolicy %s: the container has no port %s", name, p.Port.String())
				}
			}
		}
	}
	for i, s := range pod.TopologySpreadConstraints {
		selectors[fmt.Sprintf("topologySpreadConstraints[%d]", i)] = selector(t, s.LabelSelector)
	}
	for name, s := range selectors {
		if s.Empty() || !s.Matches(c.podLabels()) {
			t.Errorf("%s selects %q, which is not this pod %v", name, s, c.podLabels())
		}
	}
	if len(c.services) != 2 || len(c.budgets) != 1 || len(c.netPolicies) != 1 || *c.deployment.Spec.Replicas != 2 {
		t.Errorf("want 2 Services, a budget, a network policy and 2 replicas; got %d, %d, %d, %d",
			len(c.services), len(c.budgets), len(c.netPolicies), *c.deployment.Spec.Replicas)
	}
	for name, ns := range c.byNamespace() {
		if ns != c.deployment.Namespace {
			t.Errorf("%s lies in namespace %q, the Deployment in %q", name, ns, c.deployment.Namespace)
		}
	}
}

func selector(t *testing.T, s *metav1.LabelSelector) labels.Selector {
	t.Helper()
	sel, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	return sel
}

// byNamespace is every object's namespace, by its type and name.
func (c *cluster) byNamespace() map[string]string {
	all := map[string]string{}
	for n, o := range c.configMaps {
		all["ConfigMap "+n] = o.Namespace
	}
	for n, o := range c.secrets {
		all["Secret "+n] = o.Namespace
	}
	for n, o := range c.services {
		all["Service "+n] = o.Namespace
	}
	for n, o := range c.accounts {
		all["ServiceAccount "+n] = o.Namespace
	}
	for n, o := range c.budgets {
		all["PodDisruptionBudget "+n] = o.Namespace
	}
	for n, o := range c.netPolicies {
		all["NetworkPolicy "+n] = o.Namespace
	}
	return all
}

// TestSettingsFitTheManifests holds the daemon's settings against ports, mounts and the Secret's keys.
func TestSettingsFitTheManifests(t *testing.T) {
	t.Parallel()
	c := build(t, "testdata/book")
	ctr := c.container()
	env := map[string]string{}
	for _, from := range ctr.EnvFrom {
		if from.ConfigMapRef != nil && c.configMaps[from.ConfigMapRef.Name] != nil {
			maps.Copy(env, c.configMaps[from.ConfigMapRef.Name].Data)
		}
	}
	for _, e := range ctr.Env {
		if _, twice := env[e.Name]; twice {
			t.Errorf("%s is set by the Deployment and by settings.env", e.Name)
		}
		env[e.Name] = e.Value
	}

	var secretsAt string
	writable := map[string]bool{}
	for _, m := range ctr.VolumeMounts {
		for _, v := range c.pod().Volumes {
			if v.Name != m.Name {
				continue
			}
			switch {
			case v.Secret != nil:
				secretsAt = m.MountPath
			case v.ConfigMap != nil && m.MountPath != env["CARE_BOOK"]:
				t.Errorf("a ConfigMap lies at %s, CARE_BOOK says %s", m.MountPath, env["CARE_BOOK"])
			case v.EmptyDir != nil:
				writable[m.MountPath] = true
			}
		}
	}
	if !writable[env["CARE_STATE_DIR"]] {
		t.Errorf("CARE_STATE_DIR %q is no writable mount", env["CARE_STATE_DIR"])
	}
	for setting, name := range map[string]string{"CARE_LISTEN": "private", "CARE_PUBLIC_LISTEN": "public"} {
		if want := fmt.Sprintf("0.0.0.0:%d", port(ctr, name)); env[setting] != want {
			t.Errorf("%s is %q, the port %s is %s", setting, env[setting], name, want)
		}
	}
	// On another address than loopback serve refuses to start without the console's token.
	for _, must := range []string{"CARE_CONSOLE_TOKEN_FILE", "CARE_REDIS_URL_FILE", "CARE_SMTP_URL_FILE", "CARE_SECRET_KEY_FILE", "CARE_PUBLIC_URL"} {
		if env[must] == "" {
			t.Errorf("%s is not set", must)
		}
	}
	secret := c.secrets["carebell-secrets"]
	for name, value := range env {
		if !strings.HasPrefix(name, "CARE_") {
			t.Errorf("%s is no setting of carebell", name)
		}
		if key, ok := strings.CutPrefix(value, secretsAt+"/"); ok && strings.HasSuffix(name, "_FILE") {
			if _, there := secret.StringData[key]; !there {
				t.Errorf("%s reads the key %s, which secret.example.yaml does not have", name, key)
			}
		}
		if slices.Contains([]string{"CARE_REDIS_URL", "CARE_SMTP_URL", "CARE_SECRET_KEY", "CARE_CONSOLE_TOKEN", "CARE_SMS_PASSWORD", "CARE_WEBHOOK_URL", "CARE_WEBHOOK_SECRET", "CARE_DKIM_KEY"}, name) {
			t.Errorf("%s is a secret and stands in the environment: use %s_FILE", name, name)
		}
	}
	if env["CARE_DRY_RUN"] != "true" {
		t.Error("the example must not send anything on its first day: set CARE_DRY_RUN=true")
	}
	if tag := ctr.Image[strings.LastIndex(ctr.Image, ":")+1:]; tag == "latest" || !strings.Contains(ctr.Image, "registry.example.com/") {
		t.Errorf("image %q: the overlay must name a registry and a version", ctr.Image)
	}
}

// TestBookArrivesAsItWas lays the ConfigMap out as the kubelet does, by its items, and compares every byte.
func TestBookArrivesAsItWas(t *testing.T) {
	t.Parallel()
	for _, book := range []string{"testdata/book", "../../config/book"} {
		t.Run(filepath.Base(filepath.Dir(book)), func(t *testing.T) {
			t.Parallel()
			// A copy: the default book may be edited while this runs.
			snapshot := t.TempDir()
			if err := os.CopyFS(snapshot, os.DirFS(book)); err != nil {
				t.Fatal(err)
			}
			book := snapshot
			c := build(t, book)
			var volume *corev1.ConfigMapVolumeSource
			for _, v := range c.pod().Volumes {
				if v.ConfigMap != nil {
					volume = v.ConfigMap
				}
			}
			cm := c.configMaps[volume.Name]
			got := map[string]string{}
			for _, item := range volume.Items {
				text, ok := cm.Data[item.Key]
				if !ok {
					text = string(cm.BinaryData[item.Key])
				}
				got[item.Path] = text
			}
			want := map[string]string{}
			err := fs.WalkDir(os.DirFS(book), ".", func(p string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				text, err := os.ReadFile(filepath.Join(book, p))
				want[p] = string(text)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			for p, text := range want {
				if got[p] != text {
					t.Errorf("%s arrives with %d bytes that are not its own %d", p, len(got[p]), len(text))
				}
			}
			if len(got) != len(want) || len(cm.Data)+len(cm.BinaryData) != len(want) {
				t.Errorf("%d files, %d items, %d keys: want all the same", len(want), len(got), len(cm.Data)+len(cm.BinaryData))
			}
		})
	}
}

// TestBookScriptRefuses shows what the script does not take.
func TestBookScriptRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		files map[string]string
		want  string
	}{
		"no book":        {map[string]string{"readme": ""}, "has no dealers.yaml"},
		"Chinese name":   {map[string]string{"dealers.yaml": "", "programs/生日.yaml": ""}, "rename the file"},
		"two of one key": {map[string]string{"dealers.yaml": "", "a/b": "", "a__b": ""}, "the same key"},
		"too large":      {map[string]string{"dealers.yaml": strings.Repeat("#", 1<<20)}, "holds at most 1 MiB"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for file, text := range tt.files {
				p := filepath.Join(dir, "book", file)
				if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			said, err := exec.CommandContext(t.Context(), kubernetes+"/book", filepath.Join(dir, "book"), filepath.Join(dir, "out")).CombinedOutput()
			if err == nil || !strings.Contains(string(said), tt.want) {
				t.Errorf("got %v and %q, want a refusal with %q", err, said, tt.want)
			}
			if _, err := os.Stat(filepath.Join(dir, "out")); err == nil {
				t.Error("it wrote something all the same")
			}
		})
	}
}
