"""Name the topics of tasks, and the words that each is known by."""

from collections.abc import Mapping
from types import MappingProxyType

_TOPICS = {
    "about code": """
        list lists dict dicts dictionary dictionaries tuple tuples array arrays string
        strings substring substrings character characters char chars letter letters regex
        regexp lambda dataframe dataframes df series numpy pandas matplotlib datetime
        timestamp loop function functions variable variables integer integers int float
        floats bool boolean decimal decimals index indices element elements nested sublist
        sublists keys values key set sets iterator generator comprehension object objects
        class method methods decorator python javascript typescript java kotlin rust golang
        c++ ruby php bash shell perl swift js py django flask queryset html json xml csv
        yaml url urls hex byte bytes binary unicode utf-8 ascii base64 hash matrix vector
        vectors matrices diagonal axis subplot subplots plot legend xlabel random seed
        digits digit whitespace newline newlines trailing leading prefix suffix split join
        reverse sorted unique duplicates duplicate pairs zip cumulative rows columns cell
        cells cookie http post get soup beautifulsoup selenium requests scipy sklearn tensor
        torch tensorflow pixel pixels lista listas cadena cadenas diccionario diccionarios
        tupla matriz columna columnas fila filas entero enteros bucle función archivo texto
        caracteres carácter letra letras número números fecha clave claves valor liste
        listes chaîne chaînes dictionnaire tableau colonne colonnes ligne lignes entier
        entiers fichier caractère caractères mot mots date nombre nombres listen
        zeichenkette wörterbuch spalte spalten zeile zeilen datei ganzzahl zeichen zahl
        zahlen список списка списке списки строка строки строку строке строк словарь словаря
        словаре словари массив массива массиве столбец столбца столбцы число числа чисел
        файл файла символ символы символов дата даты кортеж ключ ключу лист vetor dicionário
        coluna linha
    """,
    "about a cluster": """
        pod pods namespace namespaces deployment deployments node nodes container containers
        ingress replica replicas replicaset pvc pv configmap configmaps secret secrets helm
        daemonset statefulset cronjob cronjobs kube hpa kubelet sidecar chart
        crashloopbackoff oomkilled imagepullbackoff pending evicted ns cluster clusters
        rollout taint taints toleration affinity probe probes liveness readiness operator
        crd scheduler quota limits alert alerts firing prometheus grafana loki tempo logs
        trace traces datadog newrelic argocd argo istio coredns etcd workload workloads
        service svc endpoint endpoints runbook runbooks
    """,
    "about a shop": """
        cart basket order orders product products item items wishlist customer coupon
        coupons voucher shipping delivery sku discount checkout refund return store shop
        catalog catalogue brand size colour color price prices purchase purchased buy bought
        gift payment invoice invoices seller listing listings stock stocked shipment fleece
        shoes shirt dress jacket sofa lamp
    """,
    "about a site": """
        repo repository fork star issue issues merge thread threads post posts forum
        subreddit comment comments upvote follow followers profile bio account password
        login avatar milestone assignee label branch member members route distance drive
        walking map maps directions airport hotel hotels restaurant restaurants nearest
        bookmark newsletter subscribe playlist homepage page pages tab browser menu navigate
        settings calendar
    """,
    "about travel": """
        flight flights reservation booking passenger passengers seat seats baggage bag bags
        cabin economy business ticket tickets airline luggage cancel cancelled refund
        insurance upgrade departure return trip nonstop agent policy member exchange
        delivered delivery
    """,
    "about a figure": """
        average avg mean median sum total totals count counts max maximum min minimum
        highest lowest most least largest smallest top bottom percentage percent share ratio
        oldest youngest cheapest longest shortest biggest earliest latest rank per each
        number distinct between before after during year years month months quarter week day
        days 2019 2020 2021 2022 2023 2024 rate growth change compared
    """,
    "about cohorts": """
        cohort cohorts retention churn rolling moving window running cumulative
        year-over-year yoy mom funnel ltv rfm attribution weighted correlation regression
        seasonality forecast percentile quartile decile consecutive streak lag segmentation
    """,
    "about learning": """
        predict prediction predictions classifier classification regression model models
        accuracy train training test dataset datasets features feature label labels
        submission kaggle cluster clustering kmeans neural network auc rmse mae f1
        cross-validation hyperparameters xgboost notebook embedding embeddings llm fine-tune
        finetune gpu epoch epochs validation hypothesis anova t-test p-value significance
        correlation
    """,
    "about dbt": """
        dbt mart marts staging stg source sources seed seeds snapshot snapshots macro macros
        incremental materialized materialisation materialization ref refs jinja surrogate
        dim fct fact dimension dimensions lineage exposure exposures freshness yml
        schema.yml not_null relationships unique accepted_values duckdb warehouse models
        model intermediate int
    """,
    "about files": """
        file files directory directories folder folders permission permissions owner user
        users group groups process processes lines line home disk space symlink hidden
        executable size recursive recursively path cron crontab port ports kernel hostname
        shell terminal ssh log logs bytes archive tar zip package apt pip mount chmod chown
    """,
    "about a screen": """
        button buttons icon icons tooltip page menu dropdown modal dialog popup tab tabs
        screen layout font fonts dark mode theme scroll scrollbar sidebar navbar header
        footer placeholder checkbox toggle input form picker banner avatar spinner loading
        cursor margin padding alignment css responsive mobile tablet click clicking hover
        keyboard shortcut focus animation emoji image images thumbnail link links text title
        breadcrumb
    """,
    "about a big part": """
        engine subsystem framework protocol scheduler compiler runtime transaction
        transactions replication sharding failover consensus cluster clustering encryption
        authentication authorization oauth sso saml oidc rbac permissions multi-tenant
        tenancy audit offline synchronization collaboration real-time streaming websocket
        websockets plugin plugins sdk marketplace billing subscription subscriptions
        payments localization localisation internationalization i18n accessibility a11y wcag
        workflow workflows automation notifications caching cache search indexing index api
        graphql grpc concurrency threading async parallel parallelism distributed recovery
        backup backups versioning history undo redo import importer export exporter parser
        migration migrations wizard onboarding editor designer builder dashboard dashboards
        reporting analytics recommendation fraud
    """,
    "asks why, elsewhere": """
        warum wieso weshalb pourquoi por-qué porqué perché dlaczego почему зачем なぜ 为什么 왜
        kenapa mengapa ошибка ошибки fehler erreur fallo falla error errore błąd lento
        langsam lent slow медленно тормозит падает absturz plante plantage planta cae cuelga
    """,
    "asks how, elsewhere": """
        wie comment cómo como come jak как どう 如何 怎么 어떻게 bagaimana cara
    """,
}


def _topics_of_words() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, words in _TOPICS.items():
        for word in words.split():
            found[word] = (*found.get(word, ()), name)
    return found


TOPICS: Mapping[str, tuple[str, ...]] = MappingProxyType(_topics_of_words())
"""Words, and the topics that each speaks of."""
