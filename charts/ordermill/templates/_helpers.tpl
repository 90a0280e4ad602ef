{{- define "ordermill.fullname" -}}
{{- if contains "ordermill" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-ordermill" (.Release.Name | trunc 30 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "ordermill.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "ordermill.fullname" .) -}}
{{- end -}}

{{- define "ordermill.selector" -}}
app.kubernetes.io/name: ordermill-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "ordermill.labels" -}}
{{ include "ordermill.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: ordermill
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* What the operator does in each namespace that it looks after. */}}
{{- define "ordermill.rules" -}}
- apiGroups: [ordermill.dev]
  resources: [orderproducers, streamconsumers, workers, backends]
  verbs: [list, watch]
- apiGroups: [ordermill.dev]
  resources: [orderproducers/status, streamconsumers/status, workers/status, backends/status]
  verbs: [patch]
# Owner references block the deletion of their owner, which some clusters let only those set who may do this.
- apiGroups: [ordermill.dev]
  resources: [orderproducers/finalizers, streamconsumers/finalizers, workers/finalizers, backends/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [configmaps, serviceaccounts, services, persistentvolumeclaims]
  verbs: [get, list, watch, create, patch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* What it does where Kafkas are. */}}
{{- define "ordermill.strimziRules" -}}
- apiGroups: [kafka.strimzi.io]
  resources: [kafkas, kafkausers]
  verbs: [list, watch]
- apiGroups: [kafka.strimzi.io]
  resources: [kafkatopics]
  verbs: [list, watch, create, patch]
{{- end -}}

{{/* Gives the operator a role: of a namespace, or of the cluster where that is empty. */}}
{{- define "ordermill.binding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}Binding
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels: {{- include "ordermill.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "ordermill.serviceAccount" .root }}
    namespace: {{ .root.Release.Namespace }}
{{- end -}}
